.PHONY: image
image: package ## build the images: of the newest release, and of what watches and retrains
	@bash deploy/container/image.sh {{ project_name }}
	@bash deploy/container/image.sh {{ project_name }} jobs
