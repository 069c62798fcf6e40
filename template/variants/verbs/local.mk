.PHONY: deploy promote rollback
deploy: up ## start it where it is to run: on this machine

promote: setup ## let the newest release in, step by step (RELEASE=id for another)
	$(RUN) promote $${RELEASE:+"$$RELEASE"}
	@bash deploy/local/tag.sh {{ package_name }} production

rollback: setup ## back to the release before
	$(RUN) rollback
	@bash deploy/local/tag.sh {{ package_name }} production
