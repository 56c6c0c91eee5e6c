"""Read Dockerfiles, bake files and the shell scripts that their steps run."""
