"""URLs for the browsers of the customer's users; they stand before those of the door for facts."""

from django.urls import re_path

from scoring.views import prompt_door

urlpatterns = [
    re_path(r"^v1/prompts/?$", prompt_door.due, name="prompts-due"),
    re_path(r"^v1/prompts/events/?$", prompt_door.event, name="prompts-event"),
    re_path(r"^v1/prompts\.js$", prompt_door.script, name="prompts-script"),
]
