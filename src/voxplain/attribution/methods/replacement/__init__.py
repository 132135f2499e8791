"""Methods that replace a part of the image and run the network again."""
