{#- Paths as texts: the channels of their touches in order, joined by ` > `. -#}

{#- The path of the touches of a group; null where there is none.
    channel: the channel of a touch, in small letters and without blanks around it; null where it does not count. order:
    what they are in the order of. A `>` in the name of a channel stands twice, so that the text can be taken apart again:
    between two channels it stands alone. -#}
{% macro path_of(channel, order) -%}
    string_agg(replace({{ channel }}, '>', '>>'), ' > ' order by {{ order }})
{%- endmacro %}

{#- Paths of a group below each other, as one path. path: null where there is none. order: as above. -#}
{% macro path_of_paths(path, order) -%}
    string_agg({{ path }}, ' > ' order by {{ order }})
{%- endmacro %}

