-- Deliveries that were claimed before they were filed: what is left of them if the gateway is killed meanwhile. A row goes when
-- its delivery is filed, as claimed or as delivered.
CREATE TABLE unfiled_claim (
    delivery INTEGER PRIMARY KEY,          -- its number
    at       INTEGER NOT NULL
) STRICT;
