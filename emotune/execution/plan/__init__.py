"""Plans which runs a study needs, why, how long they take, and what they can show."""
