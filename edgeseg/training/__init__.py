"""Training of the shipped networks, on one machine and from folders of images and masks."""
