"""What bench/run is made of: processes, the lab, pieces of work, tables. Standard library only."""
