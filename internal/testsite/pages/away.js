// A page that goes back to the one before.
addEventListener("load", () => setTimeout(() => history.back(), 100));
