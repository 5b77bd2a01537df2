"""The schema's revisions, each written by hand. There is no way back: restore a backup."""
