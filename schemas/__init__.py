"""What is said: everything that crosses a process boundary. No I/O, and nothing imported from `pipeline`."""
