.PHONY: image deploy promote rollback
image: package ## build the images: of the newest release, and of what watches and retrains
	@bash deploy/container/image.sh {{ project_name }}
	@bash deploy/container/image.sh {{ project_name }} jobs

deploy: setup ## bring the cluster to what is derived, with the stable release (its image must be in your registry)
	$(RUN).cluster deploy
	@bash deploy/local/tag.sh {{ package_name }} production

promote: setup ## let the newest release in, step by step (RELEASE=id for another)
	$(RUN).cluster promote $${RELEASE:+"$$RELEASE"}
	@bash deploy/local/tag.sh {{ package_name }} production

rollback: setup ## back to the release before
	$(RUN).cluster rollback
	@bash deploy/local/tag.sh {{ package_name }} production
