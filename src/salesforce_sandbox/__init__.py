"""A loopback CRM that speaks Salesforce's REST, Collections and Bulk 2.0."""
