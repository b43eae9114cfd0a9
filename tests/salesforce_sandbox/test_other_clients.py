"""A client that the sandbox was not written for: asynchronous, with ways of its own.

https://pypi.org/project/aiosalesforce: single records, queries, composite requests and
batches, Bulk 2.0; what it asks for and how is its authors' reading of Salesforce.
"""

import asyncio

import httpx
import pytest
from aiosalesforce import Salesforce
from aiosalesforce.auth import ClientCredentialsFlow
from aiosalesforce.exceptions import SalesforceError

PAGE = 2000


class ToSandbox(httpx.AsyncHTTPTransport):
    """Sends what is meant for any https host to the sandbox."""

    def __init__(self, url):
        super().__init__()
        self.url = httpx.URL(url)

    async def handle_async_request(self, request):
        request.url = request.url.copy_with(
            scheme=self.url.scheme, host=self.url.host, port=self.url.port
        )
        return await super().handle_async_request(request)


@pytest.fixture
def run(address):
    """Runs a coroutine that takes the client."""

    async def begin(work):
        async with httpx.AsyncClient(
            transport=ToSandbox(address.url), trust_env=False
        ) as http:
            auth = ClientCredentialsFlow(address.consumer_key, address.consumer_secret)
            org = Salesforce(http, "https://acme.my.salesforce.com", auth, "66.0")
            return await work(org)

    return lambda work: asyncio.run(begin(work))


async def job(org, operation, rows, key=None):
    """What its one job of Contacts ended with."""
    (ended,) = [
        one
        async for one in org.bulk_v2.ingest.perform_operation(
            operation, "Contact", rows, external_id_field=key, polling_interval=0.05
        )
    ]
    return ended


def test_it_makes_reads_changes_and_deletes_records(run, client):
    async def work(org):
        key = await org.sobject.create("Contact", {"LastName": "Able"})
        await org.sobject.update("Contact", key, {"FirstName": "Ann"})
        read = await org.sobject.get("Contact", key, fields=["LastName", "FirstName"])
        made = await org.sobject.upsert(
            "Contact", "K1", "JP_Customer_Id__c", {"LastName": "Baker"}
        )
        again = await org.sobject.upsert(
            "Contact", "K1", "JP_Customer_Id__c", {"LastName": "Becker"}
        )
        by_key = await org.sobject.get("Contact", "K1", "JP_Customer_Id__c")
        await org.sobject.delete("Contact", key)
        with pytest.raises(SalesforceError, match=r"ENTITY_IS_DELETED|NOT_FOUND"):
            await org.sobject.get("Contact", key)
        return read, made, again, by_key

    read, made, again, by_key = run(work)
    assert (read["LastName"], read["FirstName"]) == ("Able", "Ann")
    assert (made.created, again.created, made.id) == (True, False, again.id)
    assert by_key["Id"] == made.id
    assert [
        row["LastName"] for row in client.rows("Contact") if not row["IsDeleted"]
    ] == ["Becker"]


def test_it_pages_through_a_query_and_sees_the_bin(run):
    async def work(org):
        await job(org, "insert", [{"LastName": f"L{n:04}"} for n in range(PAGE + 100)])
        soql = "SELECT Id, LastName FROM Contact ORDER BY LastName"
        found = [row async for row in org.query(soql)]
        await org.sobject.delete("Contact", found[0]["Id"])
        living = [row async for row in org.query(soql)]
        whole = [row async for row in org.query(soql, include_all_records=True)]
        return found, living, whole, await org.get_limits()

    found, living, whole, limits = run(work)
    assert [row["LastName"] for row in found] == [f"L{n:04}" for n in range(PAGE + 100)]
    assert (len(living), len(whole)) == (PAGE + 99, PAGE + 100)
    assert limits["DailyApiRequests"]["Remaining"] < limits["DailyApiRequests"]["Max"]


def test_its_bulk_jobs_end_with_what_was_taken_and_what_was_not(run):
    async def work(org):
        rows = [
            {"JP_Customer_Id__c": "K1", "LastName": "Able", "Phone": "+1"},
            {"JP_Customer_Id__c": "K2", "LastName": "Baker", "Phone": "2"},
        ]
        made = await job(org, "upsert", rows, "JP_Customer_Id__c")
        (taken,) = made.successful_results
        rows = [{"Id": taken["sf__Id"], "Description": 'A "quoted", text\nof two'}]
        changed = await job(org, "update", rows)
        read = await org.sobject.get("Contact", taken["sf__Id"])
        gone = await job(org, "delete", [{"Id": taken["sf__Id"]}])
        return made, changed, read, gone

    made, changed, read, gone = run(work)
    (taken,), (refused,) = made.successful_results, made.failed_results
    assert (taken["JP_Customer_Id__c"], taken["sf__Created"]) == ("K1", "true")
    assert refused["sf__Error"].startswith("FIELD_CUSTOM_VALIDATION_EXCEPTION")
    assert refused["JP_Customer_Id__c"] == "K2"
    assert made.unprocessed_records == []
    assert len(changed.successful_results) == len(gone.successful_results) == 1
    assert read["Description"] == 'A "quoted", text\nof two'
    assert made.job_info.state == "JobComplete"


def test_its_composite_requests_refer_to_one_another(run, client):
    async def work(org):
        async with org.composite(all_or_none=True) as together:
            contact = together.sobject.create(
                "Contact", {"LastName": "Able", "JP_Customer_Id__c": "K1"}
            )
            together.sobject.create(
                "JP_Engagement__c",
                {
                    "JP_Engagement_Id__c": "E1",
                    "JP_Contact__c": str(contact.reference.id),
                },
            )
        async with org.composite(all_or_none=True) as undone:
            undone.sobject.create("Contact", {"LastName": "Nobody"})
            undone.sobject.create("Contact", {"FirstName": "Nameless"})
        return contact.id

    contact = run(work)
    assert [row["Id"] for row in client.rows("Contact")] == [contact]
    (engagement,) = client.rows("JP_Engagement__c")
    assert engagement["JP_Contact__c"] == contact


def test_its_batches_answer_each_request_by_itself(run):
    async def work(org):
        key = await org.sobject.create("Contact", {"LastName": "Able"})
        async with org.composite.batch() as batch:
            found = batch.query("SELECT Id FROM Contact")
            made = batch.sobject.create("Contact", {"LastName": "Baker"})
            refused = batch.sobject.create("Contact", {"FirstName": "Nameless"})
        return key, found, made, refused

    key, found, made, refused = run(work)
    assert [row["Id"] for row in found.records] == [key]
    assert (made.status_code, made.is_success) == (201, True)
    assert (refused.status_code, refused.is_success) == (400, False)
    assert refused.result[0]["errorCode"] == "REQUIRED_FIELD_MISSING"
