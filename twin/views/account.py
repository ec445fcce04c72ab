"""Sign-in, passwords and the user's own tokens."""

from django import forms
from django.conf import settings
from django.contrib import messages
from django.contrib.auth import get_user_model
from django.contrib.auth import views as auth_views
from django.contrib.auth.decorators import login_required
from django.core.exceptions import ValidationError
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.urls import reverse_lazy
from django.views.decorators.http import require_POST

from facility import sign_in_throttle
from facility.models import ApiToken, Preferences, Site
from facility.models.text import check_text
from facility.permissions import owns_something, visible_sites
from facility.preferences import preferences_of, preferences_save
from facility.tokens import MOST_DAYS, own_tokens, token_issue
from facility.views.parts import put_on_form


class SignInView(auth_views.LoginView):
    """The sign-in page; too many wrong passwords have to wait."""

    template_name = "login.html"
    redirect_authenticated_user = True

    def get_context_data(self, **kwargs) -> dict:
        """Add the way by an identity provider, where there is one."""
        sso_name = settings.TWIN_OIDC_NAME if settings.TWIN_OIDC_ISSUER else ""
        return super().get_context_data(**kwargs) | {"sso_name": sso_name}

    def post(self, request: HttpRequest, *args, **kwargs) -> HttpResponse:
        """Check the password unless this name has been tried too often from here."""
        name = request.POST.get("username", "")
        if seconds := sign_in_throttle.wait_s(request, name):
            context = self.get_context_data(form=self.get_form_class()(), wait_min=-(-seconds // 60))
            answer = render(request, self.template_name, context, status=429)
            answer["Retry-After"] = str(seconds)
            return answer
        return super().post(request, *args, **kwargs)

    def form_valid(self, form) -> HttpResponse:
        sign_in_throttle.accepted(self.request, form.cleaned_data["username"])
        return super().form_valid(form)

    def form_invalid(self, form) -> HttpResponse:
        sign_in_throttle.refused(self.request, self.request.POST.get("username", ""), "password")
        return super().form_invalid(form)


class PasswordChangeView(auth_views.PasswordChangeView):
    """A new password for who knows the old one; other sessions end."""

    template_name = "account/form.html"
    success_url = reverse_lazy("account")
    extra_context = {"title": "Change password", "action": "Change password"}

    def form_valid(self, form) -> HttpResponse:
        messages.success(self.request, "Password changed; your other sessions have ended.")
        return super().form_valid(form)


class PasswordResetView(auth_views.PasswordResetView):
    """A link by e-mail, where the operator has configured e-mail; otherwise the page says who can help."""

    template_name = "account/form.html"
    email_template_name = "account/reset_mail.txt"
    subject_template_name = "account/reset_subject.txt"
    success_url = reverse_lazy("login")

    def get_context_data(self, **kwargs) -> dict:
        note = (
            ""
            if settings.EMAIL_IS_SET
            else (
                "This server sends no e-mail. An administrator can set a new password: manage.py changepassword NAME."
            )
        )
        return super().get_context_data(title="Reset password", action="Send a link", note=note, **kwargs)

    def form_valid(self, form) -> HttpResponse:
        # The same words whether there is such a user or not.
        messages.success(self.request, "If an account has this address, a link to set a new password has been sent.")
        return super().form_valid(form)


class PasswordResetConfirmView(auth_views.PasswordResetConfirmView):
    """The page behind the link."""

    template_name = "account/form.html"
    success_url = reverse_lazy("login")

    def get_context_data(self, **kwargs) -> dict:
        context = super().get_context_data(**kwargs)
        note = "" if context["validlink"] else "This link has been used or is too old; ask for another one."
        return context | {"title": "Set a new password", "action": "Set password", "note": note}


class DetailsForm(forms.ModelForm):
    """What users state about themselves."""

    class Meta:
        model = get_user_model()
        fields = ["first_name", "last_name", "email"]
        help_texts = {"email": "Where a link to a new password is sent."}


class TokenForm(forms.Form):
    """A new token: less than its user may, and not for ever."""

    name = forms.CharField(max_length=80, help_text="Program that uses the token.")
    write = forms.BooleanField(required=False, label="May change", help_text="What you may change; else it only reads.")
    sites = forms.ModelMultipleChoiceField(
        Site.objects.none(), required=False, help_text="None chosen: all sites that you may see."
    )
    days = forms.IntegerField(min_value=1, max_value=MOST_DAYS, initial=ApiToken.LIFE.days, label="Valid for [days]")

    def __init__(self, *args, user, **kwargs) -> None:
        super().__init__(*args, **kwargs)
        self.fields["sites"].queryset = visible_sites(user).order_by("name")


@login_required
def account(request: HttpRequest) -> HttpResponse:
    """Show the user's tokens, and make one; its secret is shown once."""
    form, secret = TokenForm(request.POST or None, user=request.user), None
    if request.method == "POST" and form.is_valid():
        asked = form.cleaned_data
        try:
            _, secret = token_issue(
                user=request.user,
                name=asked["name"],
                read_only=not asked["write"],
                sites=asked["sites"],
                days=asked["days"],
            )
            form = TokenForm(user=request.user)
        except ValidationError as refusal:
            form.add_error(None, refusal)
    context = {"form": form, "secret": secret, "tokens": own_tokens(request.user)}
    context["may_audit"] = request.user.is_superuser or owns_something(request.user)
    answer = render(request, "account/tokens.html", context)
    answer["Cache-Control"] = "no-store"
    return answer


@login_required
def account_details(request: HttpRequest) -> HttpResponse:
    """Let users say their name and where mail reaches them."""
    form = DetailsForm(request.POST or None, instance=request.user)
    if request.method == "POST" and form.is_valid():
        try:
            check_text(form.instance)
        except ValidationError as refusal:
            put_on_form(form, refusal)
        else:
            form.save()
            messages.success(request, "Your details are saved.")
            return redirect("account")
    return render(request, "account/form.html", {"form": form, "title": "Your details", "action": "Save"})


class PreferencesForm(forms.ModelForm):
    """What the user chooses for themselves."""

    class Meta:
        model = Preferences
        fields = ["units", "mail_runs"]

    def __init__(self, *args, **kwargs) -> None:
        super().__init__(*args, **kwargs)
        user = self.instance.user
        if not settings.EMAIL_IS_SET:
            del self.fields["mail_runs"]  # this server sends none
        elif not user.email:
            self.fields["mail_runs"].help_text += " First say your address in your details."


@login_required
def account_preferences(request: HttpRequest) -> HttpResponse:
    """Let users choose units and what reaches them by e-mail."""
    form = PreferencesForm(request.POST or None, instance=preferences_of(request.user))
    if request.method == "POST" and form.is_valid():
        chosen = form.save(commit=False)
        chosen.address = request.build_absolute_uri("/")
        preferences_save(request, chosen)
        messages.success(request, "Your preferences are saved.")
        return redirect("account")
    return render(request, "account/form.html", {"form": form, "title": "Your preferences", "action": "Save"})


@login_required
@require_POST
def token_revoke(request: HttpRequest, pk: int) -> HttpResponse:
    """Remove one of the user's tokens; programs that use it are refused from now on."""
    token = get_object_or_404(own_tokens(request.user), pk=pk)
    token.delete()
    messages.success(request, f"Token {token.name} is revoked.")
    return redirect("account")
