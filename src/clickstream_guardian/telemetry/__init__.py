"""What a running process tells about itself: Prometheus metrics of live detection."""
