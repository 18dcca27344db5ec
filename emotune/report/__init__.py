"""From statistics to pages that can be read without network or script, and printed."""
