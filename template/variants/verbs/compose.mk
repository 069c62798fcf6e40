# The verbs of the stack mean its containers; a rehearsal and the tests keep to processes of their own.
export STACK := containers
rehearse test: export STACK := processes

.PHONY: image deploy
image: package ## build the images: of the newest release, and of what watches and retrains
	@bash deploy/container/image.sh {{ project_name }}
	@bash deploy/container/image.sh {{ project_name }} jobs

deploy: image up ## start it where it is to run: in containers on this host
