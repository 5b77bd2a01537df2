"""What happened? The decision log and the admin log."""
