"""The demo company: Fieldnote, a B2B product that never was, simulated so that every page has something true to show.

`world` invents it (pure, seeded), `load` brings it in through the same verbs as the API and the pages.
"""
