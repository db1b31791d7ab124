"""What computes: upstream's networks behind one seam, and our fast forms of them."""
