"""Who is there, what is scheduled, what is finished."""
