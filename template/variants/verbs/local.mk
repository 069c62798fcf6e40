.PHONY: deploy
deploy: up ## start it where it is to run: on this machine
