"""The catalogue of images, their base images and source trees, and the build itself."""
