"""What the console weighs: installations filled to size, and how long their pages take."""
