"""Values that a description holds until somebody states others, where no source gives any; loads no Django."""

REPAIR_CREWS = 2  # of a site: one at hand and one on call
