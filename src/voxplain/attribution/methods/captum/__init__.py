"""Methods of Captum, run so that they are right in 3D."""
