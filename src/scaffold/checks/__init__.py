"""How far a repository is from production: rules that read it and run nothing of it."""
