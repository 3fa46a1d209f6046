-- Where in the order of what is recorded a status was told: filing goes another way. Twice the number in the journal, or one more
-- for what came directly after that number.
ALTER TABLE status ADD COLUMN told INTEGER NOT NULL DEFAULT 0;
