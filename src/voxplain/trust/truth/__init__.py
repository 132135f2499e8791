"""Maps held against a truth that is known: measures, chance level, controls, judgement."""
