"""What is built: the catalogue of images, base images, source trees, and the build itself."""
