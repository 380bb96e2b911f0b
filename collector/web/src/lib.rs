//! Portal and API: routes per resource, templates, who may see what.
