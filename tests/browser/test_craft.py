"""Every page at both widths: reachable, nothing beside the window, no serious finding of axe-core."""

import pytest
from axe_playwright_python.sync_playwright import Axe
from django.contrib.auth import get_user_model
from django.urls import reverse
from playwright.sync_api import expect

from facility import members
from facility.models import Organisation, Rack
from tests.small_run import done_run
from twin.comparisons import sharing
from twin.models import Run

pytestmark = [
    pytest.mark.browser,
    pytest.mark.django_db(transaction=True),
    # pytest-base-url, which pytest-playwright brings, has not moved its fixture yet.
    pytest.mark.filterwarnings("ignore:Session-scoped fixtures defined as instance methods"),
]

WIDTHS = (1440, 390)
COUNT_SHIFTS = """window.layoutShift = 0;
new PerformanceObserver((list) => { for (const e of list.getEntries()) window.layoutShift += e.value; })
  .observe({ type: "layout-shift", buffered: true });"""


@pytest.fixture
def addresses(layout, scenario, signed_in) -> list[str]:
    """Return the address of every kind of page."""
    # The drawing board asks for its answer by itself; solving has tests of its own.
    signed_in.route("**/answer/?*", lambda route: route.fulfill(json={}))
    copy = scenario.site.layouts.exclude(pk=layout.pk).get()
    runs = [finished(one, scenario) for one in (layout, copy)]
    kept = sharing.comparison_create(runs=runs, user=get_user_model().objects.get(username="planner"), name="Which?")
    failed = Run.objects.create(layout=layout, scenario=scenario)
    Run.objects.filter(pk=failed.pk).update(status="failed", message="Nothing fits.", finished_at=runs[0].finished_at)
    here = [layout.site.slug, layout.slug]
    north = Organisation.objects.create(slug="north", name="North")
    for place in (north, layout.site):
        members.member_add(place=place, username="planner", role="owner")
    rack = Rack.objects.filter(hall__layout=layout).first()
    return [
        reverse("site-list"),
        reverse("site-new"),
        reverse("site-detail", args=here[:1]),
        reverse("site-edit", args=here[:1]),
        reverse("site-members", args=here[:1]),
        reverse("organisation-list"),
        reverse("organisation-members", args=["north"]),
        reverse("account"),
        reverse("account-details"),
        reverse("audit"),
        reverse("site-telemetry", args=here[:1]),
        reverse("telemetry-upload", args=here[:1]),
        reverse("weather-upload", args=here[:1]),
        reverse("scenario-edit", args=[here[0], scenario.slug]),
        reverse("layout-new", args=here[:1]),
        reverse("layout-detail", args=here),
        reverse("layout-draw", args=here),
        reverse("layout-one-line", args=here),
        reverse("layout-loop", args=here),
        reverse("layout-drill", args=here),
        reverse("layout-drill", args=here) + f"?out=cdu:{layout.cdus.first().pk}:1",
        reverse("layout-drill-list", args=here),
        reverse("layout-edit", args=here),
        reverse("layout-3d", args=here),
        reverse("layout-findings", args=here),
        reverse("bill-of-materials", args=here),
        *(reverse("part-list", args=[*here, kind]) for kind in ("halls", "racks", "power-feeds", "floor-features")),
        reverse("rack-row", args=here),
        reverse("rack-detail", args=[*here, rack.pk]),
        reverse("cdu-detail", args=[*here, layout.cdus.first().pk]),
        reverse("part-edit", args=[*here, "racks", rack.pk]),
        reverse("part-delete", args=[*here, "racks", rack.pk]),
        reverse("run-list"),
        reverse("run-detail", args=[runs[0].id]),
        reverse("run-detail", args=[failed.id]),
        reverse("compare"),
        reverse("compare") + f"?runs={runs[0].id},{runs[1].id}",
        reverse("comparison-shared", args=[kept.token]),
        reverse("shared-comparisons"),
        reverse("catalogue"),
        reverse("catalogue-kind", args=["systems"]),
        reverse("product", args=["systems", "dgx-gb200-nvl72"]),
        reverse("validation"),
        reverse("guide"),
        reverse("glossary"),
        reverse("run-report", args=[runs[0].id]),
        reverse("compare-report") + f"?runs={runs[0].id},{runs[1].id}",
        reverse("serving"),
        reverse("serving-claims"),
    ]


def finished(layout, scenario) -> Run:
    """Return a finished run with every part of the results page filled."""
    from twin.runs import snapshot

    run = done_run(layout, scenario)
    run.inputs = snapshot.packed(snapshot.canonical(snapshot.snapshot(layout, scenario)))
    run.figures |= {"cost_per_million_output_tokens_usd": 0.4, "pue": 1.1}
    run.details |= {
        "energy_flow": [
            {"source": "Grid", "target": "Racks", "energy_j": 7e12},
            {"source": "Grid", "target": "Cooling", "energy_j": 7e11},
        ],
        "costs": [{"item": "Energy", "usd_per_year": 2e5, "source": "tariff", "confidence": "derived"}],
        "mean_power_by_part_w": {"Accelerators": 2e5, "Chillers": 5e4},
        "limits": [{"object": "Site", "kind": "grid connection", "value": 2.5e5, "limit": 1e7, "unit": "W", "hour": 4}],
        "findings": [
            {
                "object_kind": "hall",
                "object_id": None,
                "object_name": "Hall",
                "rule": "air",
                "limit": 1.0,
                "severity": "risk",
                "value": 2.0,
                "unit": "m³/s",
                "message": "Too little air.",
            }
        ],
        "assumptions": [
            {
                "object": "GB200",
                "field": "max_power_w",
                "value": 132e3,
                "unit": "W",
                "source": "manual",
                "confidence": "published",
            }
        ],
        "availability": {
            "groups": [
                {
                    "name": "UPS",
                    "n": 2,
                    "capacity_after_one_failure_frac": 1.0,
                    "availability_frac": 0.9999,
                    "lost_tokens_per_year": 1e6,
                    "one_more_gain_tokens_per_year": 1e5,
                }
            ]
        },
        "failures": [{"object": "UPS-A", "capacity_frac": 0.9, "lost_tokens_per_s": 100.0, "message": "Losing it."}],
        "economiser_hours": {"Plant": 8760.0},
        "throttled_hours": 0.0,
        "confidence": "estimated",
    }
    run.save()
    return run


def serious(page, rules: dict) -> list[str]:
    """Return what axe-core finds serious or worse on the page that is open."""
    return [
        f"{page.url}: {violation['id']}: {[node['html'][:160] for node in violation['nodes'][:3]]}"
        for violation in Axe().run(page, options=rules).response["violations"]
        if violation["impact"] in ("serious", "critical")
    ]


def test_no_page_has_a_serious_finding_of_axe(live_server, signed_in, addresses):
    found = []
    for address in addresses:
        signed_in.goto(live_server.url + address)
        found += serious(signed_in, {})
    assert not found, "\n".join(found)


def test_the_dark_scheme_keeps_the_contrast(live_server, signed_in, addresses):
    signed_in.emulate_media(color_scheme="dark")
    found = []
    for address in with_colour(addresses):
        signed_in.goto(live_server.url + address)
        found += serious(signed_in, {"runOnly": ["color-contrast"]})
    assert not found, "\n".join(found)


def with_colour(addresses: list[str]) -> list[str]:
    """Return the pages that between them use every colour: lists, a plan, a form, a run, a comparison."""
    ends = ("/sites/small/", "/first/", "/draw/", "/edit/", "/delete/")
    return [a for a in addresses if a.startswith(("/runs/", "/compare/")) or a.endswith(ends)]


def test_no_page_is_wider_than_the_window(live_server, signed_in, addresses):
    page, found = signed_in, []
    for address in addresses:
        assert page.goto(live_server.url + address).ok, address
        for width in WIDTHS:
            page.set_viewport_size({"width": width, "height": 844})
            overflow = page.evaluate("document.documentElement.scrollWidth - innerWidth")
            if overflow > 0:
                found.append(f"{address} is {overflow} px wider than {width} px")
    assert not found, "\n".join(found)


def test_no_page_asks_for_what_its_policy_refuses(live_server, signed_in, addresses, layout):
    """Scripts and styles are files or carry the page's nonce: the policy knows no inline exception."""
    page, refused = signed_in, []
    page.on("console", lambda line: refused.append(f"{page.url}: {line.text}") if line.type == "error" else None)
    console = [reverse("admin:facility_rack_changelist"), reverse("admin:facility_layout_change", args=[layout.pk])]
    for address in (*addresses, reverse("api-docs"), *console):
        answer = page.goto(live_server.url + address)
        assert "unsafe-inline" not in answer.headers["content-security-policy"], address
    page.wait_for_load_state("networkidle")
    assert not refused, "\n".join(refused)


def test_nothing_jumps_while_a_page_loads(live_server, signed_in, addresses):
    page, moved = signed_in, []
    page.add_init_script(COUNT_SHIFTS)
    for width in WIDTHS:
        page.set_viewport_size({"width": width, "height": 844})
        for address in addresses:
            page.goto(live_server.url + address, wait_until="networkidle")
            shift = page.evaluate("window.layoutShift")
            if shift > 0.1:  # what Web Vitals calls good
                moved.append(f"{address} shifts by {shift:.2f} at {width} px")
    assert not moved, "\n".join(moved)


def test_pages_can_be_read_without_javascript(live_server, signed_in, addresses, browser):
    context = browser.new_context(java_script_enabled=False, storage_state=signed_in.context.storage_state())
    page = context.new_page()
    for address in addresses:
        assert page.goto(live_server.url + address).ok, address
        expect(page.locator("main")).to_be_visible()
    context.close()


def test_pages_stay_small_beside_plotly(live_server, signed_in, addresses):
    page, sizes = signed_in, {}
    charts = [a for a in addresses if a.startswith(("/runs/", "/compare/")) or a.endswith("/first/")]
    page.on("response", lambda answer: sizes.update({answer.url: len(answer.body())}) if answer.ok else None)
    for address in charts:
        sizes.clear()
        page.goto(live_server.url + address, wait_until="networkidle")
        total = sum(size for url, size in sizes.items() if "plotly.min.js" not in url)
        assert total < 450_000, f"{address} loads {total} bytes uncompressed beside Plotly: {sizes}"


def test_the_tab_of_a_page_is_in_sight_on_a_phone(signed_in, live_server, layout):
    signed_in.set_viewport_size({"width": 390, "height": 844})
    signed_in.goto(live_server.url + reverse("layout-edit", args=[layout.site.slug, layout.slug]))
    expect(signed_in.locator("nav.tabs [aria-current]")).to_be_in_viewport(ratio=0.99)


@pytest.mark.parametrize("width", WIDTHS)
def test_when_owning_wins_is_seen_without_scrolling(live_server, signed_in, layout, scenario, width):
    run = finished(layout, scenario)
    row = {"usd_at_start": 2.04e8, "usd_per_year": 8.73e7, "cost_per_million_output_tokens_usd": 3.03, "items": []}
    names = ("Built and owned", "Own systems, colocated", "Accelerators rented")
    run.details["options"] = [row | {"name": name, "owning_wins_month": None} for name in names]
    run.save()
    signed_in.set_viewport_size({"width": width, "height": 900})
    signed_in.goto(live_server.url + reverse("run-detail", args=[run.id]))
    table = signed_in.get_by_role("region", name="Own, colocate or rent")
    expect(table).to_contain_text("not within their life")
    assert table.evaluate("wrap => wrap.scrollWidth <= wrap.clientWidth")
