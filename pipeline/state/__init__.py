"""What outlives a process and is looked up again: jobs as the events tell of them, endpoints and deliveries."""
