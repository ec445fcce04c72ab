"""Addresses of the description's forms and lists. `-` keeps a site's own pages apart from its layouts' names."""

from django.urls import path

from facility.views import catalogue, members, parts, sites

LAYOUT = "sites/<slug:site>/<slug:layout>/"

urlpatterns = [
    path("new-site/", sites.site_new, name="site-new"),
    path("sites/<slug:site>/-/edit/", sites.site_edit, name="site-edit"),
    path("sites/<slug:site>/-/weather/", sites.weather_upload, name="weather-upload"),
    path("sites/<slug:site>/-/new-layout/", sites.layout_new, name="layout-new"),
    path(LAYOUT + "edit/", sites.layout_edit, name="layout-edit"),
    path(LAYOUT + "clone/", sites.layout_clone, name="layout-clone"),
    path(LAYOUT + "bill-of-materials/", sites.layout_bill, name="bill-of-materials"),
    path(LAYOUT + "racks/new-row/", parts.rack_row, name="rack-row"),
    path(LAYOUT + "parts/<slug:kind>/", parts.part_list, name="part-list"),
    path(LAYOUT + "parts/<slug:kind>/new/", parts.part_edit, name="part-new"),
    path(LAYOUT + "parts/<slug:kind>/<int:pk>/edit/", parts.part_edit, name="part-edit"),
    path(LAYOUT + "parts/<slug:kind>/<int:pk>/delete/", parts.part_delete, name="part-delete"),
    path("sites/<slug:site>/-/members/", members.site_members, name="site-members"),
    path("organisations/", members.organisation_list, name="organisation-list"),
    path("organisations/<slug:organisation>/", members.organisation_members, name="organisation-members"),
    path("members/<int:pk>/", members.member_change, name="member-change"),
    path("catalogue/", catalogue.catalogue, name="catalogue"),
    path("catalogue/<slug:kind>/", catalogue.catalogue_kind, name="catalogue-kind"),
    path("catalogue/<slug:kind>/<str:slug>/", catalogue.product, name="product"),
]
