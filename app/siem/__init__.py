"""Delivery of the decision log and the admin log to a SIEM."""
