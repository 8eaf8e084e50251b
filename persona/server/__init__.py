"""The door: an OpenAI-compatible server around `Persona.reply`, and a page to talk on."""
