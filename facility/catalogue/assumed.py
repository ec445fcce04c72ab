"""What a description holds until somebody says otherwise and no source tells; loads no Django."""

REPAIR_CREWS = 2  # of a site: one at hand and one on call
