"""What a novel says aloud, and who says it: quotations, people and attribution by rules, in English."""
