-- Statuses that are not tried any more, for an operator: few beside all that were written.
CREATE INDEX status_given_up ON status (i_account, service_group) WHERE due IS NULL AND writing IS NULL AND reason IS NOT NULL;
