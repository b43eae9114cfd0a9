"""The Customer Journey REST service, run locally: real answers over generated data.

People develop, demonstrate and test exporters against it. It shares nothing with any
exporter but HTTP. Start with ``customer-journey serve``; ``docs/service.md`` is the
guide.
"""
