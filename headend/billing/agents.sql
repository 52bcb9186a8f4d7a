-- How many bound boxes run which software, counted as boxes are bound and tell another version.
CREATE TABLE agent_sums (
    agent TEXT NOT NULL, boxes BIGINT NOT NULL, strand BIGINT NOT NULL, PRIMARY KEY (agent, strand)
);

CREATE FUNCTION agents_summed() RETURNS TRIGGER LANGUAGE plpgsql AS $$
BEGIN
    IF TG_OP <> 'INSERT' AND OLD.bound = 1 THEN
        INSERT INTO agent_sums (agent, boxes, strand) VALUES (OLD.agent, -1, strand())
        ON CONFLICT (agent, strand) DO UPDATE SET boxes = agent_sums.boxes - 1;
    END IF;
    IF TG_OP <> 'DELETE' AND NEW.bound = 1 THEN
        INSERT INTO agent_sums (agent, boxes, strand) VALUES (NEW.agent, 1, strand())
        ON CONFLICT (agent, strand) DO UPDATE SET boxes = agent_sums.boxes + 1;
    END IF;
    RETURN NULL;
END $$;

-- A sign of life that says nothing new does not come to the function. The triggers hold off other writers
-- until the end of this step, so that none of them is counted twice or not at all.
CREATE TRIGGER summed AFTER INSERT OR DELETE ON sightings FOR EACH ROW EXECUTE FUNCTION agents_summed();
CREATE TRIGGER summed_anew AFTER UPDATE OF bound, agent ON sightings FOR EACH ROW
    WHEN (OLD.bound <> NEW.bound OR OLD.agent <> NEW.agent) EXECUTE FUNCTION agents_summed();
INSERT INTO agent_sums (agent, boxes, strand)
SELECT agent, count(*), 0 FROM sightings WHERE bound = 1 GROUP BY agent;
