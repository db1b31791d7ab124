"""The only room that imports torch, realesrgan and gfpgan."""
