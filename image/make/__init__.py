"""The steps of image/build, one file each."""
