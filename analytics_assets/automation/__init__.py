"""When and what is made: which days are out of date, under which conditions they are asked for, and in which runs."""
