"""Bulk 2.0 ingest: jobs, their states and their three result files."""

import csv
import io
import time

import pytest

from salesforce_sandbox.serve import running


def code_of(answer):
    (error,) = answer.json()
    return error["errorCode"]


class Jobs:
    """Bulk calls as a client makes them."""

    def __init__(self, client):
        self.client = client

    def open(self, operation="upsert", sobject="Contact", **more):
        body = {"operation": operation, "object": sobject, "contentType": "CSV"} | more
        if operation == "upsert":
            body.setdefault("externalIdFieldName", "JP_Customer_Id__c")
        answer = self.client.call("POST", "jobs/ingest", json=body)
        assert answer.status_code == 200, answer.text
        return answer.json()

    def upload(self, job, data):
        return self.client.call(
            "PUT",
            f"jobs/ingest/{job}/batches",
            data=data if not isinstance(data, str) else data.encode(),
            headers={"Content-Type": "text/csv"},
        )

    def state(self, job, state):
        return self.client.call("PATCH", f"jobs/ingest/{job}", json={"state": state})

    def poll(self, job):
        return self.client.get(f"jobs/ingest/{job}").json()

    def wait(self, job):
        for _ in range(2_000):
            info = self.poll(job)
            if info["state"] in {"JobComplete", "Failed", "Aborted"}:
                return info
            time.sleep(0.005)
        pytest.fail("the job never ended")

    def run(self, data, **more):
        job = self.open(**more)["id"]
        assert self.upload(job, data).status_code == 201
        assert self.state(job, "UploadComplete").json()["state"] == "UploadComplete"
        return self.wait(job)

    def sheet(self, job, name):
        answer = self.client.get(f"jobs/ingest/{job}/{name}")
        assert answer.status_code == 200, answer.text
        text = answer.content.decode()
        return list(csv.DictReader(io.StringIO(text, newline="")))


@pytest.fixture
def jobs(client):
    return Jobs(client)


def test_a_job_upserts_and_says_what_became_of_each_row(client, jobs):
    known = client.contact(JP_Customer_Id__c="c2", FirstName="Old")
    info = jobs.run(
        "JP_Customer_Id__c,LastName,FirstName\n"
        'c1,"Love, lace","two\nlines"\nc2,Babbage,\nc3,,x\n'
    )
    assert (info["state"], info["numberRecordsProcessed"]) == ("JobComplete", 3)
    assert info["numberRecordsFailed"] == 1
    done = jobs.sheet(info["id"], "successfulResults")
    assert [(r["sf__Created"], r["JP_Customer_Id__c"]) for r in done] == [
        ("true", "c1"),
        ("false", "c2"),
    ]
    assert done[1]["sf__Id"] == known
    (failed,) = jobs.sheet(info["id"], "failedResults")
    assert failed["sf__Error"] == (
        "REQUIRED_FIELD_MISSING:Required fields are missing: [LastName]:LastName --"
    )
    assert failed["FirstName"] == "x"
    assert jobs.sheet(info["id"], "unprocessedRecords") == []
    found = client.query("SELECT LastName, FirstName FROM Contact ORDER BY LastName")
    assert [(r["LastName"], r["FirstName"]) for r in found] == [
        ("Babbage", "Old"),  # an empty cell leaves the field alone
        ("Love, lace", "two lines"),
    ]


def test_na_empties_a_field(client, jobs):
    client.contact(JP_Customer_Id__c="c1", FirstName="Old", Email="a@b.org")
    jobs.run("JP_Customer_Id__c,FirstName,Email\nc1,#N/A,\n")
    (found,) = client.query("SELECT FirstName, Email FROM Contact")
    assert (found["FirstName"], found["Email"]) == (None, "a@b.org")


def test_a_parent_is_named_by_its_external_id(client, jobs):
    parent = client.contact(JP_Customer_Id__c="c1")
    info = jobs.run(
        "JP_Engagement_Id__c,JP_Contact__r.JP_Customer_Id__c,JP_Transferred__c\n"
        "e1,c1,true\ne2,nobody,\n",
        sobject="JP_Engagement__c",
        externalIdFieldName="JP_Engagement_Id__c",
    )
    (found,) = client.query(
        "SELECT JP_Contact__c, JP_Transferred__c FROM JP_Engagement__c"
    )
    assert (found["JP_Contact__c"], found["JP_Transferred__c"]) == (parent, True)
    (failed,) = jobs.sheet(info["id"], "failedResults")
    assert failed["sf__Error"] == (
        "INVALID_FIELD:Foreign key external ID: nobody not found for field "
        "JP_Customer_Id__c in entity Contact:--"
    )


def test_a_cell_of_another_type_fails_its_row(jobs):
    """INVALID_TYPE_ON_FIELD_IN_RECORD: "Core Data Types Used in API Calls",
    StatusCode."""
    data = "JP_Customer_Id__c,LastName,JP_Engagement_Count__c\nc1,X,many\nc2,X,2\n"
    info = jobs.run(data)
    (failed,) = jobs.sheet(info["id"], "failedResults")
    assert failed["sf__Error"].startswith("INVALID_TYPE_ON_FIELD_IN_RECORD:")
    assert info["numberRecordsFailed"] == 1


def test_insert_update_and_delete_do_as_they_say(client, jobs):
    made = jobs.run("LastName\nA\nB\n", operation="insert")
    keys = [r["sf__Id"] for r in jobs.sheet(made["id"], "successfulResults")]
    jobs.run(f"Id,LastName\n{keys[0]},C\n", operation="update")
    gone = jobs.run(f"Id\n{keys[1]}\nnonsense\n\n", operation="delete")
    assert gone["numberRecordsFailed"] == 1
    assert [r["LastName"] for r in client.query("SELECT LastName FROM Contact")] == [
        "C"
    ]


def test_defaults_are_line_feed_and_comma(jobs):
    info = jobs.open()
    assert (info["lineEnding"], info["columnDelimiter"]) == ("LF", "COMMA")
    assert info["contentUrl"].endswith(f"jobs/ingest/{info['id']}/batches")


def test_other_delimiters_and_line_ends_are_read_and_written(client, jobs):
    info = jobs.run(
        "JP_Customer_Id__c|LastName\r\nc1|X\r\n",
        lineEnding="CRLF",
        columnDelimiter="PIPE",
    )
    answer = client.get(f"jobs/ingest/{info['id']}/successfulResults")
    head = b'"sf__Id"|"sf__Created"|"JP_Customer_Id__c"|"LastName"\r\n'
    assert answer.content.startswith(head)


def test_chunked_bodies_and_lower_case_names_are_understood(jobs):
    job = jobs.open()["id"]
    pieces = (b"JP_Customer_Id__c,", b"LastName\n", b"c1,X\n")
    assert jobs.upload(job, iter(pieces)).status_code == 201
    jobs.state(job, "UploadComplete")
    jobs.wait(job)
    assert len(jobs.sheet(job, "successfulresults/")) == 1
    assert jobs.sheet(job, "unprocessedrecords") == []
    assert jobs.sheet(job, "failedresults") == []


def test_a_job_takes_data_once(jobs):
    """INVALIDJOBSTATE: Bulk API 2.0 Developer Guide, "Upload Job Data": upload job
    data only once per job."""
    job = jobs.open()["id"]
    assert jobs.upload(job, "LastName\nX\n").status_code == 201
    answer = jobs.upload(job, "LastName\nX\n")
    assert (answer.status_code, code_of(answer)) == (400, "INVALIDJOBSTATE")


def test_a_closed_job_takes_nothing_more(jobs):
    """INVALIDJOBSTATE: Bulk API 2.0 Developer Guide, "Upload Complete"."""
    info = jobs.run("JP_Customer_Id__c,LastName\nc1,X\n")
    for answer in (
        jobs.upload(info["id"], "LastName\nX\n"),
        jobs.state(info["id"], "UploadComplete"),
        jobs.state(info["id"], "Aborted"),
    ):
        assert (answer.status_code, code_of(answer)) == (400, "INVALIDJOBSTATE")


def test_results_wait_for_the_end(client, jobs):
    """INVALIDJOBSTATE: Bulk API 2.0 Developer Guide, "Get Job Failed Record Results":
    for a completed job."""
    job = jobs.open()["id"]
    answer = client.get(f"jobs/ingest/{job}/failedResults")
    assert (answer.status_code, code_of(answer)) == (400, "INVALIDJOBSTATE")


def test_an_aborted_job_writes_nothing_and_gives_its_rows_back(client, jobs):
    """Bulk API 2.0 Developer Guide, "Abort a Job"."""
    job = jobs.open()["id"]
    jobs.upload(job, "JP_Customer_Id__c,LastName\nc1,X\n")
    assert jobs.state(job, "Aborted").json()["state"] == "Aborted"
    assert client.query("SELECT Id FROM Contact") == []
    (row,) = jobs.sheet(job, "unprocessedRecords")
    assert row == {"JP_Customer_Id__c": "c1", "LastName": "X"}


def test_only_a_job_that_is_not_under_way_can_be_deleted(client, jobs):
    """INVALIDJOBSTATE: Bulk API 2.0 Developer Guide, "Delete a Job"."""
    job = jobs.open()["id"]
    answer = client.call("DELETE", f"jobs/ingest/{job}")
    assert (answer.status_code, code_of(answer)) == (400, "INVALIDJOBSTATE")
    jobs.state(job, "Aborted")
    assert client.call("DELETE", f"jobs/ingest/{job}").status_code == 204
    answer = client.get(f"jobs/ingest/{job}")
    assert (answer.status_code, code_of(answer)) == (404, "NOT_FOUND")


def test_all_jobs_are_listed(client, jobs):
    made = [jobs.open()["id"] for _ in range(2)]
    listed = client.get("jobs/ingest").json()
    assert [r["id"] for r in listed["records"]] == made
    assert listed["done"] is True


@pytest.mark.parametrize(
    ("body", "code"),
    [
        ({"operation": "upsert", "object": "Contact"}, "INVALIDJOB"),
        (
            {
                "operation": "upsert",
                "object": "Contact",
                "externalIdFieldName": "Email",
            },
            "INVALIDJOB",
        ),
        ({"operation": "replace", "object": "Contact"}, "INVALIDJOB"),
        ({"operation": "insert", "object": "Nothing"}, "INVALIDENTITY"),
        ({"operation": "hardDelete", "object": "Contact"}, "FEATURENOTENABLED"),
        (
            {"operation": "insert", "object": "Contact", "lineEnding": "CR"},
            "INVALIDJOB",
        ),
        (
            {"operation": "insert", "object": "Contact", "contentType": "JSON"},
            "INVALIDJOB",
        ),
    ],
)
def test_a_job_that_makes_no_sense_is_refused(client, body, code):
    """INVALIDJOB, INVALIDENTITY, FEATURENOTENABLED: Bulk API 2.0 Developer Guide,
    "Create a Job", and Bulk API, "Errors"."""
    answer = client.call("POST", "jobs/ingest", json=body)
    assert (answer.status_code, code_of(answer)) == (400, code)


def test_data_of_another_media_type_is_refused(client, jobs):
    """UNSUPPORTED_MEDIA_TYPE: REST API Developer Guide, "Status Codes and Error
    Responses", 415."""
    job = jobs.open()["id"]
    answer = client.call("PUT", f"jobs/ingest/{job}/batches", json={})
    assert (answer.status_code, code_of(answer)) == (415, "UNSUPPORTED_MEDIA_TYPE")


def test_data_beyond_the_maximum_is_refused(client, jobs):
    """REQUEST_ENTITY_TOO_LARGE: Bulk API 2.0 Developer Guide, "Upload Job Data": a
    maximum of 150 MB; "Status Codes and Error Responses", 413."""
    client.admin("PUT", "limits", json={"upload_bytes": 20})
    answer = jobs.upload(jobs.open()["id"], "JP_Customer_Id__c,LastName\nc1,X\n")
    assert (answer.status_code, code_of(answer)) == (413, "REQUEST_ENTITY_TOO_LARGE")


def test_a_state_that_is_none_is_refused(jobs):
    """INVALIDJOB: Bulk API 2.0 Developer Guide, "Upload Complete"."""
    answer = jobs.state(jobs.open()["id"], "Finished")
    assert (answer.status_code, code_of(answer)) == (400, "INVALIDJOB")


@pytest.mark.parametrize(
    ("data", "message"),
    [
        ("JP_Customer_Id__c,Nothing__c\nc1,X\n", "Field name not found : Nothing__c"),
        ("JP_Customer_Id__c,Nobody__r.X__c\nc1,X\n", "Field name not found"),
        ("JP_Customer_Id__c,LastName\r\nc1,X\r\n", "LineEnding is invalid"),
        ("JP_Customer_Id__c,LastName\nc1\n", "InvalidBatch : Line 1 has 1 columns"),
        ('JP_Customer_Id__c,LastName\nc1,"X\n', "not CSV"),
        ("", "no header"),
        (b"JP_Customer_Id__c,LastName\nc1,\xff\n", "not UTF-8"),
    ],
)
def test_data_that_cannot_be_read_fails_the_whole_job(jobs, data, message):
    """InvalidBatch, ClientInputError: Bulk API 2.0 Developer Guide, "Prepare CSV
    Files" and "Job States", Failed."""
    info = jobs.run(data)
    assert info["state"] == "Failed"
    assert message in info["errorMessage"]
    assert info["numberRecordsProcessed"] == 0


def test_an_update_needs_ids_and_a_delete_only_ids(jobs):
    """InvalidBatch: Bulk API 2.0 Developer Guide, "Prepare CSV Files"."""
    info = jobs.run("LastName\nX\n", operation="update")
    assert info["errorMessage"] == "InvalidBatch : Field name not found : Id"
    info = jobs.run("Id,LastName\nx,X\n", operation="delete")
    assert "only ids" in info["errorMessage"]


def test_a_row_of_an_update_without_an_id_fails(jobs):
    """MISSING_ARGUMENT: "Core Data Types Used in API Calls", StatusCode."""
    info = jobs.run("Id,LastName\n,X\n", operation="update")
    (failed,) = jobs.sheet(info["id"], "failedResults")
    assert failed["sf__Error"].startswith("MISSING_ARGUMENT:")


def test_a_key_twice_in_a_chunk_fails_but_over_chunks_the_last_wins(client, jobs):
    """DUPLICATE_VALUE: SOAP API Developer Guide, "upsert()"."""
    lines = [f"c{n},X" for n in range(199)]
    twice = ["JP_Customer_Id__c,LastName", *lines, "C1,Y", "c2,Last", ""]
    info = jobs.run("\n".join(twice))
    failed = jobs.sheet(info["id"], "failedResults")
    assert [r["JP_Customer_Id__c"] for r in failed] == ["c1", "C1"]
    assert all(r["sf__Error"].startswith("DUPLICATE_VALUE:") for r in failed)
    (found,) = client.query(
        "SELECT LastName FROM Contact WHERE JP_Customer_Id__c = 'c2'"
    )
    assert found["LastName"] == "Last"


def test_a_slow_job_goes_through_its_states(client, jobs):
    """Bulk API 2.0 Developer Guide, "Job States"."""
    client.fault("slow_job", polls=3)
    job = jobs.open()["id"]
    jobs.upload(job, "JP_Customer_Id__c,LastName\nc1,X\n")
    jobs.state(job, "UploadComplete")
    states = [jobs.poll(job)["state"] for _ in range(3)]
    assert states == ["UploadComplete", "InProgress", "InProgress"]
    assert jobs.wait(job)["state"] == "JobComplete"


def test_a_slow_job_can_be_aborted_half_way(client, jobs):
    client.fault("slow_job", polls=100)
    job = jobs.open()["id"]
    jobs.upload(job, "JP_Customer_Id__c,LastName\nc1,X\n")
    jobs.state(job, "UploadComplete")
    jobs.poll(job)
    jobs.state(job, "Aborted")
    assert jobs.poll(job)["state"] == "Aborted"
    assert len(jobs.sheet(job, "unprocessedRecords")) == 1


def test_a_failed_job_says_which_rows_it_never_tried(client, jobs):
    """Bulk API 2.0 Developer Guide, "Get Job Unprocessed Record Results"."""
    client.fault("job_failed", rows=2)
    info = jobs.run("JP_Customer_Id__c,LastName\nc1,X\nc2,\nc3,X\nc4,X\n")
    assert (info["state"], info["numberRecordsProcessed"]) == ("Failed", 2)
    job = info["id"]
    assert len(jobs.sheet(job, "successfulResults")) == 1
    assert len(jobs.sheet(job, "failedResults")) == 1
    rest = jobs.sheet(job, "unprocessedRecords")
    assert [r["JP_Customer_Id__c"] for r in rest] == ["c3", "c4"]
    assert len(client.query("SELECT Id FROM Contact")) == 1


def test_locked_rows_fail_one_by_one(client, jobs):
    client.fault("row_lock", times=2, after=1)
    info = jobs.run("JP_Customer_Id__c,LastName\nc1,X\nc2,X\nc3,X\nc4,X\n")
    failed = jobs.sheet(info["id"], "failedResults")
    assert [r["JP_Customer_Id__c"] for r in failed] == ["c2", "c3"]
    assert failed[0]["sf__Error"].startswith("UNABLE_TO_LOCK_ROW:")


def test_a_job_that_was_closed_goes_on_after_a_restart(tmp_path, schema, connect):
    with running(tmp_path / "org.db", schema) as (address, _):
        client = connect(address)
        jobs = Jobs(client)
        client.fault("slow_job", polls=100)
        job = jobs.open()["id"]
        jobs.upload(job, "JP_Customer_Id__c,LastName\nc1,X\n")
        jobs.state(job, "UploadComplete")
    with running(tmp_path / "org.db", schema) as (address, _):
        client = connect(address)
        assert Jobs(client).wait(job)["state"] == "JobComplete"
        assert len(client.query("SELECT Id FROM Contact")) == 1
