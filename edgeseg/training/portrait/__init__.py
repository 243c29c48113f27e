"""Training of the portrait networks: pictures of people, one logit."""
