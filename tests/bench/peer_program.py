"""`python -P peer_program.py NAME ROWS FOLDER`: another program expires so many subscriptions that were over yesterday.

Runs in the environment that `peers` makes, which knows nothing of ours. Prints the seconds and how many it expired.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Callable
from datetime import timedelta

import django
from django.conf import settings
from django.core.management import call_command
from django.utils import timezone

_APPS = {
    "django-plans": ["django.contrib.sites", "ordered_model", "sequences", "plans"],
    "django-flexible-subscriptions": ["subscriptions"],
}
_URLS = {"django-plans": "plans.urls", "django-flexible-subscriptions": "subscriptions.urls"}


def main() -> None:
    """Set up, fill, expire."""
    name, rows, folder = sys.argv[1], int(sys.argv[2]), sys.argv[3]
    settings.configure(
        INSTALLED_APPS=["django.contrib.contenttypes", "django.contrib.auth", *_APPS[name]],
        DATABASES={"default": {"ENGINE": "django.db.backends.sqlite3", "NAME": f"{folder}/peer.db"}},
        DEFAULT_AUTO_FIELD="django.db.models.AutoField",
        TEMPLATES=[{"BACKEND": "django.template.backends.django.DjangoTemplates", "APP_DIRS": True}],
        EMAIL_BACKEND="django.core.mail.backends.filebased.EmailBackend",
        EMAIL_FILE_PATH=f"{folder}/mail",
        ROOT_URLCONF=_URLS[name],
        SECRET_KEY="opens nothing",
        SITE_ID=1,
        USE_TZ=True,
        PLANS_CURRENCY="EUR",
    )
    django.setup()
    call_command("migrate", verbosity=0)
    expire, left = {"django-plans": _plans, "django-flexible-subscriptions": _subscriptions}[name](rows)
    before = left()
    began = time.perf_counter()
    expire()
    seconds = time.perf_counter() - began
    sys.stdout.write(f"{seconds} {before - left()}\n")


def _users(rows: int) -> list[object]:
    from django.contrib.auth.models import User

    User.objects.bulk_create(User(username=f"holder{n}", email=f"holder{n}@example.it") for n in range(rows))
    return list(User.objects.all())


def _plans(rows: int) -> tuple[Callable[[], object], Callable[[], int]]:
    from plans.models import Plan, UserPlan
    from plans.tasks import expire_account

    users = _users(rows)
    plan = Plan.objects.create(name="Standard", default=None, available=True, visible=True)
    yesterday = timezone.localdate() - timedelta(1)
    UserPlan.objects.bulk_create(UserPlan(user=user, plan=plan, expire=yesterday, active=True) for user in users)
    return expire_account, UserPlan.objects.filter(active=True).count


def _subscriptions(rows: int) -> tuple[Callable[[], object], Callable[[], int]]:
    from django.contrib.auth.models import Group
    from subscriptions.management.commands._manager import Manager
    from subscriptions.models import PlanCost, SubscriptionPlan, UserSubscription

    users = _users(rows)
    group = Group.objects.create(name="holders")
    group.user_set.set(users)
    plan = SubscriptionPlan.objects.create(plan_name="Standard", group=group)
    cost = PlanCost.objects.create(plan=plan, recurrence_period=1, recurrence_unit="6", cost="12.08")
    now = timezone.now()
    UserSubscription.objects.bulk_create(
        UserSubscription(
            user=user,
            subscription=cost,
            date_billing_start=now - timedelta(366),
            date_billing_end=now - timedelta(1),
            date_billing_next=now + timedelta(30),
            active=True,
            cancelled=False,
        )
        for user in users
    )
    return Manager().process_subscriptions, UserSubscription.objects.filter(active=True).count


if __name__ == "__main__":
    main()
