"""Metrics of a process and its fellow workers, exposed to Prometheus."""
