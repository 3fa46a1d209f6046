-- What was delivered last is walked through for one handler at a time.
CREATE INDEX last_delivered_handler ON last_delivered (handler, lane);
