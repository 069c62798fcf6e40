.PHONY: image deploy
image: package ## build the images: of the newest release, and of what watches and retrains
	@bash deploy/container/image.sh {{ project_name }}
	@bash deploy/container/image.sh {{ project_name }} jobs

deploy: setup ## bring the cluster to what is derived, with the stable release (its image must be in your registry)
	$(RUN).cluster deploy
	@bash deploy/local/tag.sh {{ package_name }} production
