"""URLs of routing and speed, under /routing/."""

from django.urls import path

from scoring.views import hours, routing, routing_people, speed

urlpatterns = [
    path("", routing.index, name="routing"),
    path("edit/", routing.edit, name="routing_edit"),
    path("pools/new/", routing.pool, name="routing_pool_new"),
    path("pools/<int:pool_id>/", routing.pool, name="routing_pool"),
    path("pools/<int:pool_id>/retire/", routing.pool_retire, name="routing_pool_retire"),
    path("people/", routing_people.people, name="routing_people"),
    path("people/<int:person_id>/", routing_people.person, name="routing_person"),
    path("people/<int:person_id>/leave/", routing_people.leave_add, name="routing_leave_add"),
    path("leave/<int:leave_id>/remove/", routing_people.leave_remove, name="routing_leave_remove"),
    path("speed/", speed.index, name="routing_speed"),
    path("speed/new/", speed.policy, name="routing_policy_new"),
    path("speed/<int:policy_id>/", speed.policy, name="routing_policy"),
    path("hours/", hours.index, name="routing_hours"),
    path("hours/new/", hours.calendar, name="routing_calendar_new"),
    path("hours/<int:calendar_id>/", hours.calendar, name="routing_calendar"),
    path("assignments/", routing_people.log, name="routing_assignments"),
    path("of/<int:handoff_id>/", routing_people.of_handoff, name="routing_of_handoff"),
]
